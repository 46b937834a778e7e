#ifndef CORE_VERSION_H
#define CORE_VERSION_H

/* The version of this build ("1.0.0", or what git describe says); a constant. */
const char *version_text(void);

/* The memory allocator that this program runs with: "jemalloc" or "glibc". */
const char *version_allocator(void);

#endif
