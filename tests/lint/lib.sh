# Common to the lint scripts: sourced, from the root of the repository.
# shellcheck shell=sh

# The C files that are ours: those that git knows or could add, or, in a tarball, all.
c_files() {
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- '*.c' '*.h'
	else
		find . -name build -prune -o \( -name '*.c' -o -name '*.h' \) -print | sed 's|^\./||'
	fi | sort -u | while read -r file; do
		# one that was deleted and not yet committed
		[ -f "$file" ] && echo "$file"
	done
}

sh_files() {
	if git rev-parse --git-dir >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- '*.sh'
	else
		find . -name build -prune -o -name '*.sh' -print | sed 's|^\./||'
	fi | sort -u | while read -r file; do
		[ -f "$file" ] && echo "$file"
	done
}
