/* Where all warps that run a program together meet: what one has written, the others may read afterwards.
 *
 * TEAM_BLOCK: the warps of one block. TEAM_CLUSTER: the blocks of one cluster (sm_90 and later; launched as one cluster).
 * TEAM_GRID: all blocks of a launch, which must fit on the device together (a cooperative launch).
 */
#ifndef NNC_TEAM_CUH
#define NNC_TEAM_CUH

#include "share.cuh"

#if defined(TEAM_BLOCK) + defined(TEAM_CLUSTER) + defined(TEAM_GRID) > 1
#error "a program has one kind of team: TEAM_BLOCK, TEAM_CLUSTER or TEAM_GRID"
#endif

/* What a kernel says of its launch: only the blocks of one cluster can meet as one. */
#ifdef TEAM_CLUSTER
#define CLUSTERED __cluster_dims__(8, 1, 1)
#else
#define CLUSTERED
#endif

/* barrier: 0 before the first launch; for TEAM_GRID alone. */
struct team { unsigned int *barrier; };

/* All blocks of a cluster. */
INLINE void meet_cluster(void) {
#ifdef EMULATED
    emulated::meet_cluster("meet_cluster", __builtin_FILE(), __builtin_LINE());
#else
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

/* All blocks of the grid. Every meeting turns the upper bit of the word over and leaves its other bits 0: the first block
 * adds what the others, who add 1 each, lack of it. So the word need never be reset. */
#define TURN 0x80000000u
INLINE void meet_grid(unsigned int *barrier) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned int before = atomicAdd(barrier, blockIdx.x == 0 ? TURN - (gridDim.x - 1) : 1u);
        while (((before ^ *(volatile unsigned int *)barrier) & TURN) == 0) __nanosleep(20);
        __threadfence();
    }
    __syncthreads();
#ifdef EMULATED
    emulated::has_met_the_grid();
#endif
}

/* Called by every warp of the team. */
INLINE void meet(const struct team *team) {
#if defined(TEAM_GRID)
    meet_grid(team->barrier);
#elif defined(TEAM_CLUSTER)
    (void)team;
    meet_cluster();
#else
    (void)team;
    __syncthreads();
#endif
}

#endif
