/* Calls functions of a library for a process of another kind of processor, while an emulator runs this one.
 *
 * The library is the argument. Standard input holds, for each call, the function's name in 64 bytes, how many arguments it
 * takes, and these: a number by -1 and itself, an array by its bytes, how far into them the function is pointed, and the
 * bytes. Standard output tells what the function returns and what the arrays hold then. Beyond an array lies a page that
 * may not be touched. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NAME_BYTES = 64, MOST_ARGUMENTS = 8 }; /* as many as registers take, each as wide as a long */
typedef long function(long, long, long, long, long, long, long, long);

struct array { char *pages, *bytes; size_t mapped, size; };

static void take(void *memory, size_t bytes) {
    if (fread(memory, 1, bytes, stdin) != bytes) exit(1);
}

static struct array array_of(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (size + page - 1) / page * page;
    char *pages = mmap(0, inside + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + inside, page, PROT_NONE) != 0) exit(2);
    return (struct array){pages, pages + inside - size, inside + page, size};
}

int main(int count, char **words) {
    void *library = count == 2 ? dlopen(words[1], RTLD_NOW) : 0;
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 3;
    char name[NAME_BYTES];
    while (fread(name, 1, sizeof name, stdin) == sizeof name) {
        long passed[MOST_ARGUMENTS] = {0};
        struct array arrays[MOST_ARGUMENTS];
        int64_t arguments, size, value;
        int filled = 0;
        take(&arguments, sizeof arguments);
        for (int k = 0; k < arguments; k++) {
            take(&size, sizeof size);
            take(&value, sizeof value);
            passed[k] = value;
            if (size < 0) continue;
            struct array array = arrays[filled++] = array_of((size_t)size);
            take(array.bytes, array.size);
            passed[k] = (long)(array.bytes + value);
        }
        function *called = (function *)dlsym(library, name);
        if (!called) return fprintf(stderr, "%s\n", dlerror()), 4;
        int64_t result =
            called(passed[0], passed[1], passed[2], passed[3], passed[4], passed[5], passed[6], passed[7]);
        fwrite(&result, sizeof result, 1, stdout);
        for (int k = 0; k < filled; k++) {
            fwrite(arrays[k].bytes, 1, arrays[k].size, stdout);
            munmap(arrays[k].pages, arrays[k].mapped);
        }
        fflush(stdout);
    }
    return 0;
}
