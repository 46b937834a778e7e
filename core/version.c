/* The only object that depends on the version, so that a commit does not rebuild the world. */
#include "core/version.h"

#include <dlfcn.h>
#include <stddef.h>

#ifndef MQAUDIT_VERSION
#define MQAUDIT_VERSION "unknown"
#endif

const char *version_text(void)
{
	return MQAUDIT_VERSION;
}

const char *version_allocator(void)
{
	return dlsym(RTLD_DEFAULT, "mallctl") ? "jemalloc" : "glibc";
}
