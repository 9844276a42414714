/* Runs programs of a printed plan in memory of exactly the bytes that it asks for, each piece a block of its own, so that
 * a sanitizer sees what is read or written beside it. PLAN is the printed file.
 *
 * Standard input: "arena-file arena-bytes piece-bytes scratch-bytes threads batch", then for each call
 * "program is-shared rows feeds", and for each of its feeds "file bytes stride". */
#include PLAN
#include <stdio.h>
#include <stdlib.h>

static char *block(size_t bytes) {
    void *memory;
    if (posix_memalign(&memory, 64, bytes ? bytes : 1)) exit(2);
    return memory;
}

static char *contents(const char *path, size_t bytes) {
    char *memory = block(bytes);
    FILE *file = fopen(path, "rb");
    if (!file || fread(memory, 1, bytes, file) != bytes) exit(3);
    fclose(file);
    return memory;
}

int main(void) {
    char path[4096];
    long arena_bytes, piece_bytes, scratch_bytes, threads, batch;
    if (scanf("%4095s %ld %ld %ld %ld %ld", path, &arena_bytes, &piece_bytes, &scratch_bytes, &threads, &batch) != 6) return 4;
    char *arena = contents(path, arena_bytes), *pieces = block(piece_bytes), *scratch = block(scratch_bytes * threads);
    struct pool *pool = threads > 1 ? nnc_pool((int)threads) : 0;
    long program, is_shared, rows, feeds;
    while (scanf("%ld %ld %ld %ld", &program, &is_shared, &rows, &feeds) == 4) {
        struct feed *fed = (struct feed *)block(feeds * sizeof *fed);
        int64_t *numbers = (int64_t *)block(rows * sizeof *numbers);
        for (long row = 0; row < rows; row++) numbers[row] = rows - 1 - row;
        for (long k = 0; k < feeds; k++) {
            long bytes, stride;
            if (scanf("%4095s %ld %ld", path, &bytes, &stride) != 3) return 5;
            fed[k] = (struct feed){contents(path, bytes), stride};
        }
        struct job job = {{arena, arena, pieces}, scratch, scratch_bytes, fed, numbers, rows, batch, is_shared ? threads : 1};
        nnc_run(is_shared ? pool : 0, (int)program, &job);
        for (long k = 0; k < feeds; k++) free((void *)fed[k].data);
        free(fed);
        free(numbers);
    }
    if (pool) nnc_end(pool);
    fwrite(arena, 1, arena_bytes, stdout);
    free(arena);
    free(pieces);
    free(scratch);
    return 0;
}
