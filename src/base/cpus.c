/* cpus.c - see cpus.h. Source: Linux, Documentation/admin-guide/cgroup-v2.rst. */
#define _GNU_SOURCE
#include "base/cpus.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT = 4096 };

/* The beginning of a small file, with a final 0; "" when it cannot be read. */
static void read_text(char text[TEXT], const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
}

/* Processors that the cpu.max of a folder grants; INT_MAX: no limit. */
static int limit_of(const char *folder) {
    char path[TEXT + 16], text[TEXT];
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    read_text(text, path);
    long long quota, period;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0)
        return INT_MAX;
    const long long n = (quota - 1) / period + 1;
    return n < INT_MAX ? (int)n : INT_MAX;
}

/* The group's path in a file of memberships, or NULL. */
static char *group_of(char *text) {
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (!strncmp(line, "0::/", 4)) return line + 3;
    return NULL;
}

int omma_cpus_granted(const char *membership, const char *root) {
    char text[TEXT], folder[TEXT];
    read_text(text, membership);
    const char *group = group_of(text);
    const int n = snprintf(folder, sizeof folder, "%s%s", root, group ? group : "");
    if (n < 0 || (size_t)n >= sizeof folder) return 0;
    const size_t top = strlen(root);
    int least = INT_MAX;
    for (;;) {
        const int limit = limit_of(folder);
        if (limit < least) least = limit;
        char *slash = strrchr(folder + top, '/');
        if (!slash) return least < INT_MAX ? least : 0;
        *slash = 0;
    }
}

int omma_cpus(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    const int granted = omma_cpus_granted("/proc/self/cgroup", "/sys/fs/cgroup");
    if (granted && granted < n) n = granted;
    return n > 1 ? n : 1;
}
