#ifndef SCENARIOS_LAB_KAFKA_DIST_H
#define SCENARIOS_LAB_KAFKA_DIST_H

#include "scenarios/lab/lab.h"

/*
 * Kafka's program files. They come from $KAFKA_HOME/libs, or through Maven, once for each version,
 * into <state>/lab/dist/kafka-VERSION/libs, which all labs share.
 */

/*
 * Find the program files of the version that is wished for, or fetch them (with mvn, under a lock;
 * the folder appears in one step). Sets file->version and file->libs. Blocks up to 10 minutes when
 * it fetches.
 *
 * Returns 0, ERR_NOTFOUND (no java, no mvn, no such version, registry away: with a hint), ERR_USAGE
 * (KAFKA_HOME holds another version), ERR_TIMEOUT, ERR_IO.
 */
MUST_CHECK int kafka_dist_find(struct lab *lab, const struct lab_wish *wish, struct err *e);

/* The java program to run, into ret. ERR_NOTFOUND with a hint. */
MUST_CHECK int kafka_dist_java(char *ret, size_t len, struct err *e);

/*
 * Write the file for `java @FILE` that has the class path, and, when there is one, the archive of
 * loaded classes (AppCDS) for this Java: file->java_args, which is set if it was not.
 */
MUST_CHECK int kafka_dist_write_args(struct lab *lab, struct err *e);

/*
 * Have the program files of another version than the lab's ready: find or fetch them, as
 * kafka_dist_find(), and write their file for `java @FILE`. Returns what these two do.
 */
MUST_CHECK int kafka_dist_ready(struct lab *lab, const char *version, struct err *e);

/* The file for `java @FILE` of a node: of its own version if it has one. */
void kafka_dist_node_args(
	const struct lab *lab, const struct labfile_node *node, char *ret, size_t len);

/* From now on a node, and the lab when it is the last one, has a version that is ready. */
MUST_CHECK int kafka_dist_use(
	struct lab *lab, struct labfile_node *node, const char *version, struct err *e);

/*
 * Where the archive of classes for these programs and this Java is, or would be; "" for programs
 * from KAFKA_HOME, which get none. An archive of another Java is ignored by its name.
 */
void kafka_dist_archive(const struct lab *lab, char *ret, size_t len);

/* Take the lock of the shared program files, and give it back. */
MUST_CHECK int kafka_dist_lock(const struct lab *lab, int *ret_fd, struct err *e);
void kafka_dist_unlock(const struct lab *lab, int fd);

/* Is the broker older than that major version? */
bool kafka_dist_is_before(const struct labfile *file, int major);

#endif
