#ifndef CORE_LEDGER_SERVER_LAYOUT_H
#define CORE_LEDGER_SERVER_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"
#include "core/paths.h"

/*
 * Where the embedded server lives, and as whom. Below the state folder:
 *
 *     ledger/                  0755 and root's; an ordinary user's own: 0700
 *       data/                  the data folder, the server user's; appears whole, by a rename
 *       data.new-.../          one that is just being made
 *       socket/                0700, the server user's: who may enter it may connect (trust)
 *       postgresql.conf        written anew at each start; includes local.conf, if there is one
 *       server.log, .log.1     what the server says; bounded by the keeper
 *       lock                   held by whoever starts, stops or looks for the server
 *       keeper.lock            held by the keeper for as long as it lives
 *       server.state           pids of keeper and postmaster
 *       used                   its time: when somebody asked for the server last
 *       keep                   there: never stop it for being idle
 *
 * Root writes nothing below data/ and socket/: these belong to another user.
 */

struct layout {
	char dir[PATHS_MAX];
	char data[PATHS_MAX + 20];
	char conf[PATHS_MAX + 20];
	char log[PATHS_MAX + 20];
	char old_log[PATHS_MAX + 20];
	char lock[PATHS_MAX + 20];
	char keeper_lock[PATHS_MAX + 20];
	char state[PATHS_MAX + 20];
	char used[PATHS_MAX + 20];
	char keep[PATHS_MAX + 20];
	char socket[PATHS_MAX + 20]; /* a folder; below /tmp when too long for a socket */
	uid_t uid;                   /* as whom the server runs; ours when we are not root */
	gid_t gid;
	char user[64]; /* its name, or its number as text */
};

/*
 * Work out all names and the server's user; makes nothing. As root the server's user is the owner
 * of an existing data folder, else `postgres`, else `nobody`.
 *
 * Returns 0, ERR_USAGE or ERR_LIMIT (see paths_state()), or ERR_NOTFOUND (no user to run it as).
 */
MUST_CHECK int layout_init(struct layout *l, struct err *e);

/*
 * Can a server be started as that user? Not as root, nor as one that this user namespace does not
 * have (one can use a server there that was started outside). Returns 0 or ERR_STATE.
 */
MUST_CHECK int layout_check_user(const struct layout *l, struct err *e);

/*
 * Make the folders that are missing, and check that the server's user can enter them.
 *
 * Returns 0, ERR_DENIED with the folder that it cannot enter, ERR_STATE (that user is not in this
 * user namespace), or what making folders returns.
 */
MUST_CHECK int layout_make(const struct layout *l, struct err *e);

/*
 * When root works in the folder of an ordinary user (sudo), give what it made there to that user,
 * who could not use it otherwise. Does nothing else.
 */
void layout_give_back(const struct layout *l);

/* Remove the folder of the socket if it is below /tmp, once the server is gone. Best effort. */
void layout_remove_socket(const struct layout *l);

/* Is there a data folder? */
bool layout_has_data(const struct layout *l);

/* Which processes serve this ledger; zero where there is none. From server.state. */
struct server_pids {
	pid_t keeper, postmaster;
	uint64_t keeper_start, postmaster_start; /* proc_start_time() */
	int64_t since_wall_ns;                   /* when the postmaster was started */
};

/* Read it; all zero when there is none or it is of another boot. Processes may have ended since. */
void layout_read_pids(const struct layout *l, struct server_pids *ret);
MUST_CHECK int layout_write_pids(
	const struct layout *l, const struct server_pids *p, struct err *e);

/*
 * The conninfo of one of the server's databases: for mqaudit's own use with every setting pinned
 * and this application name, or (application NULL) short, for a person to paste. Connections named
 * LAYOUT_SERVICE do not count as clients.
 * ret of at least LAYOUT_CONNINFO_MAX bytes is a precondition. Returns ret.
 */
#define LAYOUT_CONNINFO_MAX (2 * PATHS_MAX + 400)
#define LAYOUT_DATABASE "mqaudit"
#define LAYOUT_ROLE "mqaudit"
#define LAYOUT_SERVICE "mqaudit ledger"
#define LAYOUT_SERVICE_DATABASE "postgres" /* for the connections named so */
char *layout_conninfo(
	const struct layout *l, const char *database, const char *application, char *ret);

/* Remember in `used` that somebody needs the server now. */
MUST_CHECK int layout_touch(const struct layout *l, struct err *e);

/* Is the keeper alive (its lock held)? Returns false also when there never was one. */
bool layout_keeper_lives(const struct layout *l);

#endif
