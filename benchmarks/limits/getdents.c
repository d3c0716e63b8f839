/* The least that a parallel listing can cost: openat, getdents64 into a 64 KiB buffer, and with
 * `stat` one statx per file. Threads take directories from one shared stack. Prints the number
 * of files; names are read and not kept.
 *
 *   getdents DIRECTORY THREADS [stat]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char **waiting;
static size_t waiting_count, waiting_capacity, busy;
static int with_stat;
static atomic_long files;

static void push(char *path) {
    pthread_mutex_lock(&lock);
    if (waiting_count == waiting_capacity) {
        waiting_capacity = waiting_capacity ? waiting_capacity * 2 : 1024;
        waiting = realloc(waiting, waiting_capacity * sizeof *waiting);
    }
    waiting[waiting_count++] = path;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* Gives a directory, or NULL once none waits and no thread could find another. */
static char *pop(int was_busy) {
    pthread_mutex_lock(&lock);
    if (was_busy)
        busy--;
    while (waiting_count == 0 && busy > 0)
        pthread_cond_wait(&changed, &lock);
    char *path = NULL;
    if (waiting_count > 0) {
        path = waiting[--waiting_count];
        busy++;
    } else {
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return path;
}

static void list(const char *path, char *buffer) {
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        perror(path);
        exit(1);
    }
    long found = 0, length;
    while ((length = syscall(SYS_getdents64, directory, buffer, BUFFER_BYTES)) > 0) {
        for (long at = 0; at < length;) {
            struct dirent64 *entry = (struct dirent64 *)(buffer + at);
            at += entry->d_reclen;
            if (entry->d_type == DT_DIR) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                    continue;
                char *child = NULL;
                if (asprintf(&child, "%s/%s", path, entry->d_name) < 0)
                    exit(1);
                push(child);
                continue;
            }
            found++;
            struct statx status;
            if (with_stat && statx(directory, entry->d_name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
                                   STATX_SIZE | STATX_MTIME, &status) < 0)
                perror(entry->d_name);
        }
    }
    close(directory);
    atomic_fetch_add(&files, found);
}

static void *work(void *unused) {
    (void)unused;
    char *buffer = malloc(BUFFER_BYTES);
    int was_busy = 0;
    for (char *path; (path = pop(was_busy)) != NULL; was_busy = 1) {
        list(path, buffer);
        free(path);
    }
    free(buffer);
    return NULL;
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: getdents DIRECTORY THREADS [stat]\n");
        return 2;
    }
    int threads = atoi(arguments[2]);
    with_stat = count > 3;
    push(strdup(arguments[1]));
    pthread_t started[64];
    if (threads < 1 || threads > 64)
        return 2;
    for (int i = 0; i < threads; i++)
        pthread_create(&started[i], NULL, work, NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    printf("%ld\n", atomic_load(&files));
    return 0;
}
