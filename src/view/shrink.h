/* shrink.h - bytes made smaller for the report: the maps and weights in it are mostly zeros and
 * small numbers. A Huffman code over 271 symbols that a page unpacks in forty lines of its own, in
 * any browser, at once; deflate would gain little here and can be undone only asynchronously.
 *
 *     136 bytes   code lengths of symbols 0..271, four bits each, the even symbol in the low half;
 *                 0: the symbol does not occur
 *     bits        codes, most significant bit first, canonical: shorter codes first, codes of a
 *                 length in the symbols' order; filled up with zeros to a byte
 *
 * Symbols 0 to 255 are bytes; 256 + k, k = 1..14, is a run of zeros: 2^k of them and as many more
 * as the k bits say that follow. How many bytes there are the reader knows from elsewhere.
 *
 * Source: Huffman, "A Method for the Construction of Minimum-Redundancy Codes", 1952.
 * Test: tests/test_shrink.c. */
#ifndef OMMA_VIEW_SHRINK_H
#define OMMA_VIEW_SHRINK_H

#include <stdbool.h>

#include "base/error.h"

enum {
    OMMA_SHRINK_SYMBOLS = 272,
    OMMA_SHRINK_HEAD = OMMA_SHRINK_SYMBOLS / 2,
    OMMA_SHRINK_LONGEST = 15
};

/* Pack size bytes.
 *   out   receives memory for omma_mem_free; NULL when packing would not make it smaller.
 *   n     receives its size [bytes].
 * Returns OMMA_OK or OMMA_E_NOMEM. Thread-safe. */
omma_status omma_shrink(unsigned char **out, size_t *n, const unsigned char *data, size_t size,
                        omma_error *err);

#endif
