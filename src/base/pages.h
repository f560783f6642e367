/* pages.h - which memory is a mapped file, so that its pages can be given back to the system
 * when they were read and are not needed soon. A weight that was packed into the form
 * kernels read is such a case: without this it would lie in memory twice.
 *
 * Pages given back are read from the file again should somebody look: what they hold never
 * changes. Nothing else may be given back, since other memory would come back as zeros;
 * hence the list of mappings. Thread-safe. */
#ifndef OMMA_BASE_PAGES_H
#define OMMA_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* [p, p + n), fresh memory, is about to be written from end to end: so many threads have the system
 * make its pages now, which takes a fraction of what one page after the other would. Where the
 * system cannot, or less than 1 MiB is meant, they come as they always do. */
void omma_pages_expect(void *p, size_t n, int threads);

/* Remember a read-only mapping of a whole file, and forget it again before it is unmapped. The
 * file's descriptor is taken over, and closed at the latest then. The system is asked not to map it
 * by huge pages: what is given back a piece at a time would split them, and guests of hypervisors
 * that keep page tables of their own lose those of the whole process again and again while a run
 * reads a huge page of a file (docs/performance.md). */
void omma_pages_add(const void *map, size_t size, int fd);
void omma_pages_drop(const void *map);

/* Give back the pages that hold [p, p + n), but for the last when it is not whole, and a few
 * before them, if they are of a mapping. Does nothing for any other memory, nor for
 * less than 64 KiB. */
void omma_pages_give_back(const void *p, size_t n);

/* Copy [p, p + n) to `to`. Where that is of a mapping it is read from the file, which takes a
 * fraction of what touching its pages for the first time does, and leaves none of them in memory.
 */
void omma_pages_copy(void *to, const void *p, size_t n);

/* Does the byte at p lie in a mapping? */
bool omma_pages_of_file(const void *p);

/* Give back every page of every mapping: a plan is made, and its runs look at few of them. */
void omma_pages_leave(void);

#endif
