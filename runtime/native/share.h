/* Which part of some work is a thread's. Parts depend on how much there is and on the number of threads alone. */
#ifndef NNC_SHARE_H
#define NNC_SHARE_H

#include "vector.h"

/* Compiled once, however many places call it: for what is large, or not called often. */
#define SHARED static __attribute__((noinline, unused))

/* One thread of those that run a program together, with scratch memory of its own. is_back: whether it goes backwards
 * through a matrix that may be larger than what stays near: the end of one pass is then the beginning of the next. */
struct worker { long thread, threads; char *scratch; long is_back; };

/* From `first` on, before `last`. */
struct share { long first, last; };

/* `part` of `parts` instead of a thread of a team: for work whose cut must not depend on the threads. */
INLINE struct worker part_of(long part, long parts) { return (struct worker){part, parts, 0, 0}; }

/* The whole of the work. */
INLINE struct worker alone(struct worker worker) { return (struct worker){0, 1, worker.scratch, worker.is_back}; }

/* All of `count` pieces. */
INLINE struct share whole_of(long count) { return (struct share){0, count}; }

/* An even share of `count` pieces. */
INLINE struct share share_of(long count, struct worker worker) {
    if (worker.threads == 1) return whole_of(count); /* without a division */
    return (struct share){count * worker.thread / worker.threads, count * (worker.thread + 1) / worker.threads};
}

/* As share_of, cut at blocks of `size` pieces. */
INLINE struct share blocks_of(long count, long size, struct worker worker) {
    struct share blocks = share_of((count + size - 1) / size, worker);
    long last = blocks.last * size;
    return (struct share){blocks.first * size, last < count ? last : count};
}

/* As share_of, cut at whole vectors. */
INLINE struct share lanes_of(long count, struct worker worker) { return blocks_of(count, LANES, worker); }

/* What of a share lies in the `count` pieces from `first` on, counted from there. */
INLINE struct share within(struct share share, long first, long count) {
    long low = share.first - first, high = share.last - first;
    return (struct share){low < 0 ? 0 : low, high > count ? count : high};
}

/* The tiles of a run whose beginning lies in a share of the work: the first of `count` begins at `first`, each takes
 * `work`. */
INLINE struct share tiles_of(struct share share, long first, long count, long work) {
    struct share part = within(share, first, count * work);
    return (struct share){(part.first + work - 1) / work, (part.last + work - 1) / work};
}

/* Threads as a grid, for work of rows and columns: which rows and which columns are a thread's. Two share the columns,
 * where their number is even, in the order in which share_of gives out columns; so a thread meets again in its own cache
 * what it has of a matrix that is shared by columns elsewhere. */
INLINE struct worker across_rows(struct worker worker) {
    long halves = worker.threads % 2 ? 1 : 2, each = worker.threads / halves;
    return (struct worker){worker.thread % each, each, worker.scratch, worker.is_back};
}
INLINE struct worker across_columns(struct worker worker) {
    long halves = worker.threads % 2 ? 1 : 2, each = worker.threads / halves;
    return (struct worker){worker.thread / each, halves, worker.scratch, worker.is_back};
}

#endif
