"""Memory of libnghttp2 (header-only), recycled.

What a stream needs and gives back is taken again by the next one, from bounded lists of four sizes."""

from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_mem

cdef extern from *:
    """
    #ifndef L5D_H2_MEMORY
    #define L5D_H2_MEMORY
    #include <stdlib.h>
    #include <string.h>

    enum { L5D_H2_STEP = 128, L5D_H2_SIZES = 4, L5D_H2_KEPT = 1024 };   /* at most 1.3 MiB in all */

    /* Before each block; keeps malloc's alignment. */
    typedef union l5d_h2_block {
        struct {
            union l5d_h2_block *next;
            size_t room;
        };
        long double aligned;
    } l5d_h2_block;

    static struct {
        l5d_h2_block *first;
        int count;
    } l5d_h2_free[L5D_H2_SIZES];

    static void *l5d_h2_malloc(size_t size, void *unused)
    {
        size_t at = size ? (size - 1) / L5D_H2_STEP : 0;
        l5d_h2_block *block;
        if (at < L5D_H2_SIZES) {
            block = l5d_h2_free[at].first;
            if (block) {
                l5d_h2_free[at].first = block->next;
                l5d_h2_free[at].count--;
                return block + 1;
            }
            size = (at + 1) * L5D_H2_STEP;
        }
        if (size > PTRDIFF_MAX - sizeof(*block) || !(block = malloc(sizeof(*block) + size)))
            return NULL;
        block->room = size;
        return block + 1;
    }

    static void l5d_h2_release(void *memory, void *unused)
    {
        l5d_h2_block *block = (l5d_h2_block *) memory - 1;
        size_t at;
        if (!memory)
            return;
        at = block->room / L5D_H2_STEP - 1;
        if (block->room > L5D_H2_SIZES * L5D_H2_STEP || l5d_h2_free[at].count >= L5D_H2_KEPT) {
            free(block);
            return;
        }
        block->next = l5d_h2_free[at].first;
        l5d_h2_free[at].first = block;
        l5d_h2_free[at].count++;
    }

    static void *l5d_h2_calloc(size_t count, size_t size, void *unused)
    {
        void *memory = size && count > PTRDIFF_MAX / size ? NULL : l5d_h2_malloc(count * size, unused);
        return memory ? memset(memory, 0, count * size) : NULL;
    }

    static void *l5d_h2_realloc(void *memory, size_t size, void *unused)
    {
        size_t room = memory ? ((l5d_h2_block *) memory - 1)->room : 0;
        void *larger;
        if (memory && size <= room)
            return memory;
        larger = l5d_h2_malloc(size, unused);
        if (larger && memory) {
            memcpy(larger, memory, room);
            l5d_h2_release(memory, unused);
        }
        return larger;
    }

    static nghttp2_mem l5d_h2_recycling = {
        NULL, l5d_h2_malloc, l5d_h2_release, l5d_h2_calloc, l5d_h2_realloc
    };

    /* The sanitizer must see each block's own end and life. */
    #ifdef __SANITIZE_ADDRESS__
    #define l5d_h2_memory() NULL
    #else
    #define l5d_h2_memory() (&l5d_h2_recycling)
    #endif
    #endif
    """
    nghttp2_mem* recycling_memory "l5d_h2_memory"() noexcept nogil
