#include "scenarios/lab/fault_guard.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/lab_process.h"

int fault_guard_start(const struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	char since[24], at[24], until[24], start[24];
	const char *argv[] = {"/proc/self/exe", "lab", "guard", lab->kind->name, "--lab", lab->name,
		"--fault", fault->id, "--since", since, "--heals-at", at, "--until-pid", until,
		"--until-start", start, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int r;

	if (!fault->heals_at_ns && !fault->until_pid)
		return 0;
	snprintf(since, sizeof(since), "%lld", (long long)fault->since_wall_ns);
	snprintf(at, sizeof(at), "%lld", (long long)fault->heals_at_ns);
	snprintf(until, sizeof(until), "%d", (int)fault->until_pid);
	snprintf(start, sizeof(start), "%llu", (unsigned long long)fault->until_start_time);
	spec.argv = argv;
	spec.new_session = true;
	spec.cwd = "/";
	r = proc_start(&spec, &fault->guard_pid, e);
	if (r)
		return err_wrap(e, "start the guard of %s", fault->id);
	fault->guard_start_time = proc_start_time(fault->guard_pid);
	return 0;
}

void fault_guard_end(const struct labfile_fault *fault)
{
	if (fault->guard_pid && fault->guard_pid != getpid())
		proc_signal(fault->guard_pid, fault->guard_start_time, SIGKILL);
}

int fault_guard_wait(int64_t heals_at_ns, pid_t until_pid, uint64_t until_start_time, struct err *e)
{
	int r;

	if (!until_pid) {
		clock_sleep_ns(heals_at_ns - clock_ns());
		return 0;
	}
	r = lab_wait_end_of(until_pid, until_start_time, heals_at_ns, e);
	return r == ERR_TIMEOUT ? 0 : r;
}
