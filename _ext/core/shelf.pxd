"""A bounded stack of recycled objects (header-only): what a list would do, without its resizing and its
calls. One per type, a module global."""

cdef extern from *:
    """
    #ifndef L5D_SHELF
    #define L5D_SHELF
    enum { L5D_SHELF_ROOM = 1024 };
    typedef struct {
        int count;
        PyObject *kept[L5D_SHELF_ROOM];
    } l5d_shelf;

    /* A new reference; the caller looks at `count` first. */
    static inline PyObject *l5d_shelf_take(l5d_shelf *shelf)
    {
        return shelf->kept[--shelf->count];
    }

    static inline int l5d_shelf_keep(l5d_shelf *shelf, PyObject *item, int most)
    {
        if (shelf->count >= most)
            return 0;
        Py_INCREF(item);
        shelf->kept[shelf->count++] = item;
        return 1;
    }
    #endif
    """
    enum:
        SHELF_ROOM "L5D_SHELF_ROOM"
    ctypedef struct Shelf "l5d_shelf":
        int count
    # Only when `count` is above zero.
    object shelf_take "l5d_shelf_take"(Shelf* shelf)
    # False when `most`, at most SHELF_ROOM, are kept already.
    bint shelf_keep "l5d_shelf_keep"(Shelf* shelf, object item, int most) noexcept
