#ifndef CORE_LEDGER_KEEPER_H
#define CORE_LEDGER_KEEPER_H

/*
 * The keeper: a process of its own that is the parent of the embedded server's postmaster.
 *
 * It makes the data folder when there is none, starts the postmaster, and stops it (fast) when
 * nobody was connected or asked for it during KEEPER_IDLE, on SIGTERM, or when the ledger's folder
 * is removed. It ends when the postmaster ends, after the last server process, so that its lock
 * (keeper.lock) tells whether a new server can be started. When the keeper itself is killed, the
 * kernel sends the postmaster a SIGINT: a fast stop.
 *
 * It runs in the background: own session, folder /, no file of who started it, an environment
 * without that one's secrets.
 */

/* How long an unused server lives; another duration in MQAUDIT_LEDGER_IDLE ("2s") is for tests. */
#define KEEPER_IDLE "60s"

/*
 * The body of the hidden command `ledger keeper`, to be started with standard output on a pipe.
 *
 * Forks: the first process ends at once, with 0; the other one goes on and is the keeper. It closes
 * the pipe when the server answers, without a word, or writes one struct err into it and ends.
 * Returns only in the keeper, when all is over, the exit code.
 */
int keeper_main(void);

#endif
