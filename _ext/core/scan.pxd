"""Byte classes, and one wide scan for control bytes (header-only).

`next_control` is what makes every other loop safe: after it, a run holds no control byte but HTAB.
"""

cdef extern from *:
    """
    #include <stddef.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif

    enum {
        L5D_TOKEN = 1,     /* tchar, RFC 9110 5.6.2 */
        /* Letters, digits, "-._~": every host name in use, and no separator of lists or user information. */
        L5D_HOST = 2,
        L5D_ADDRESS = 4,   /* inside the brackets of an IPv6 literal */
        L5D_TARGET = 8,    /* visible ASCII but "#", and all that is not ASCII: raw UTF-8 passes as it came */
        L5D_DIGIT = 16
    };

    static const unsigned char l5d_classes[256] = {
        ['!'] = L5D_TOKEN | L5D_TARGET, ['"'] = L5D_TARGET,
        ['#'] = L5D_TOKEN, ['$' ... '\\''] = L5D_TOKEN | L5D_TARGET,
        ['('] = L5D_TARGET, [')'] = L5D_TARGET,
        ['*'] = L5D_TOKEN | L5D_TARGET, ['+'] = L5D_TOKEN | L5D_TARGET, [','] = L5D_TARGET,
        ['-'] = L5D_TOKEN | L5D_HOST | L5D_TARGET,
        ['.'] = L5D_TOKEN | L5D_HOST | L5D_ADDRESS | L5D_TARGET, ['/'] = L5D_TARGET,
        ['0' ... '9'] = L5D_TOKEN | L5D_HOST | L5D_ADDRESS | L5D_TARGET | L5D_DIGIT,
        [':'] = L5D_ADDRESS | L5D_TARGET, [';' ... '@'] = L5D_TARGET,
        ['A' ... 'F'] = L5D_TOKEN | L5D_HOST | L5D_ADDRESS | L5D_TARGET,
        ['G' ... 'Z'] = L5D_TOKEN | L5D_HOST | L5D_TARGET,
        ['[' ... ']'] = L5D_TARGET,
        ['^'] = L5D_TOKEN | L5D_TARGET, ['`'] = L5D_TOKEN | L5D_TARGET,
        ['_'] = L5D_TOKEN | L5D_HOST | L5D_TARGET,
        ['a' ... 'f'] = L5D_TOKEN | L5D_HOST | L5D_ADDRESS | L5D_TARGET,
        ['g' ... 'z'] = L5D_TOKEN | L5D_HOST | L5D_TARGET,
        ['{'] = L5D_TARGET, ['|'] = L5D_TOKEN | L5D_TARGET, ['}'] = L5D_TARGET,
        ['~'] = L5D_TOKEN | L5D_HOST | L5D_TARGET,
        [0x80 ... 0xff] = L5D_TARGET,
    };
    static inline int l5d_is(unsigned char c, int kind)
    {
        return l5d_classes[c] & kind;
    }

    static inline const char *l5d_skip(const char *p, const char *end, int kind)
    {
        while (p < end && l5d_is((unsigned char) *p, kind))
            p++;
        return p;
    }

    static inline const char *l5d_end_of_run(const char *p, int kind)
    {
        while (l5d_is((unsigned char) *p, kind))
            p++;
        return p;
    }

    static inline const char *l5d_next_control(const char *p, const char *end)
    {
    #ifdef __SSE2__
        const __m128i highest = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
        for (; end - p >= 16; p += 16) {
            __m128i bytes = _mm_loadu_si128((const __m128i *) p);
            __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, highest), bytes);
            control = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control);
            control = _mm_or_si128(control, _mm_cmpeq_epi8(bytes, del));
            int found = _mm_movemask_epi8(control);
            if (found)
                return p + __builtin_ctz((unsigned) found);
        }
    #endif
        for (; p < end; p++) {
            unsigned char c = (unsigned char) *p;
            if ((c < ' ' && c != '\t') || c == 0x7f)
                break;
        }
        return p;
    }
    """
    enum:
        TOKEN "L5D_TOKEN"
        HOST "L5D_HOST"
        ADDRESS "L5D_ADDRESS"
        TARGET "L5D_TARGET"
        DIGIT "L5D_DIGIT"
    # Whether a byte belongs to a class; the end of the run of such bytes.
    bint is_class "l5d_is"(unsigned char c, int kind) noexcept nogil
    const char* skip_class "l5d_skip"(const char* p, const char* end, int kind) noexcept nogil
    # The same where a byte of no class is known to follow.
    const char* end_of_run "l5d_end_of_run"(const char* p, int kind) noexcept nogil
    # The first control byte other than HTAB, or DEL; `end` when there is none.
    const char* next_control "l5d_next_control"(const char* p, const char* end) noexcept nogil
