/* cpus.h - how many processors this process may keep busy: those that its affinity leaves it, and
 * no more than the time its control group (a container's limit) grants. */
#ifndef OMMA_BASE_CPUS_H
#define OMMA_BASE_CPUS_H

/* At least 1. Reads a few small files; allocates nothing. Thread-safe. */
int omma_cpus(void);

/* The processors that the control groups of version 2 grant, rounded up; 0: no limit, or none to
 * be seen. A group's limit holds for those below it, so the least on the way to the root counts.
 *   membership  a file like /proc/self/cgroup: the line "0::/PATH" names the group.
 *   root        the folder of the root group, like /sys/fs/cgroup: its cpu.max, and that of every
 *               folder on the way to PATH, holds "QUOTA PERIOD" [us] or "max PERIOD". */
int omma_cpus_granted(const char *membership, const char *root);

#endif
