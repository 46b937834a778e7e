#ifndef SCENARIOS_LAB_MOUNTINFO_H
#define SCENARIOS_LAB_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

/* What the kernel tells of mounts in /proc/PID/mountinfo: see proc(5). */

struct mountinfo {
	char type[32];     /* of the file system: "ext4" */
	char source[80];   /* "/dev/loop3" */
	char options[256]; /* of the file system, not of this mount: "rw,errors=remount-ro" */
};

/*
 * Find what is mounted at the path (the last, where several are stacked) in the text of a mountinfo
 * file. Returns false when nothing is. ret may be NULL.
 */
bool mountinfo_find(const char *text, const char *path, struct mountinfo *ret);

/* Is the word one of the options, which are set apart by commas? */
bool mountinfo_has_option(const struct mountinfo *mount, const char *word);

/* Take the escapes (\040 for a blank, ...) out of a field of mountinfo, in place. */
void mountinfo_unescape(char *field);

#endif
