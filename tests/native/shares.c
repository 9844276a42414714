/* The cuts of share.h: who does each piece, counted. */
#include "share.h"

/* Adds 1 to `done` for every tile of two runs that some thread has; gives how many the busiest has, in vectors. */
long cut_tiles(long first_count, long first_work, long second_count, long second_work, long threads, int32_t *done) {
    const long all = first_count * first_work + second_count * second_work;
    long most = 0;
    for (long thread = 0; thread < threads; thread++) {
        const struct share share = share_of(all, part_of(thread, threads));
        const struct share one = tiles_of(share, 0, first_count, first_work);
        const struct share two = tiles_of(share, first_count * first_work, second_count, second_work);
        for (long k = one.first; k < one.last; k++) done[k]++;
        for (long k = two.first; k < two.last; k++) done[first_count + k]++;
        const long work = (one.last - one.first) * first_work + (two.last - two.first) * second_work;
        if (work > most) most = work;
    }
    return most;
}

/* Adds 1 to `done` for every cell of rows x columns that some thread of a grid has. */
void cut_grid(long rows, long columns, long threads, int32_t *done) {
    for (long thread = 0; thread < threads; thread++) {
        const struct worker worker = part_of(thread, threads);
        const struct share down = share_of(rows, across_rows(worker)), along = share_of(columns, across_columns(worker));
        for (long r = down.first; r < down.last; r++)
            for (long c = along.first; c < along.last; c++) done[r * columns + c]++;
    }
}
