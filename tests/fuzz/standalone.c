/*
 * A main() for fuzz targets without libFuzzer: replays every file of the directories (or the files)
 * named on the command line, and the empty input. Fails when a directory holds nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    enum { MAX = 1 << 24 };
    uint8_t *data = malloc(MAX);
    size_t size = data ? fread(data, 1, MAX, f) : 0;
    fclose(f);
    /* An allocation of exactly this size, so that a sanitizer sees the first byte too many. */
    uint8_t *exact = malloc(size ? size : 1);
    if (data && exact) {
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
    free(data);
    return 0;
}

static int replay_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        perror(path);
        return 1;
    }
    int count = 0, failed = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char name[4096];
        if (e->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, e->d_name) < (int)sizeof name)
            failed |= replay_file(name);
        count++;
    }
    closedir(dir);
    printf("%s: %d inputs\n", path, count);
    return failed || count == 0;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            failed = 1;
        } else {
            failed |= S_ISDIR(st.st_mode) ? replay_directory(argv[i]) : replay_file(argv[i]);
        }
    }
    return failed;
}
