/* What is mounted where, out of the kernel's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/lab/mountinfo.h"

static const char sample[] =
	"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
	"67 42 0:4 net:[4026532458] /run/netns/a rw shared:7 - nsfs nsfs rw\n"
	"105 64 7:3 / /tmp/a\\040b/disk rw,noatime shared:1 master:2 - ext4 /dev/loop3 "
	"rw,errors=remount-ro,shutdown\n"
	"106 64 7:4 / /tmp/twice rw - ext4 /dev/loop4 rw\n"
	"107 64 7:5 / /tmp/twice rw - ext4 /dev/loop5 rw,emergency_ro\n"
	"108 64 7:6 /tmp/root /tmp/cut";

static void a_mount_is_found_by_its_path(void **unused)
{
	struct mountinfo m;

	(void)unused;
	assert_true(mountinfo_find(sample, "/tmp/a b/disk", &m));
	assert_string_equal(m.type, "ext4");
	assert_string_equal(m.source, "/dev/loop3");
	assert_string_equal(m.options, "rw,errors=remount-ro,shutdown");
	assert_true(mountinfo_find(sample, "/", NULL));
}

static void the_last_of_several_counts(void **unused)
{
	struct mountinfo m;

	(void)unused;
	assert_true(mountinfo_find(sample, "/tmp/twice", &m));
	assert_string_equal(m.source, "/dev/loop5");
}

static void what_is_not_mounted_is_not_found(void **unused)
{
	(void)unused;
	assert_false(mountinfo_find(sample, "/tmp/a", NULL));
	assert_false(mountinfo_find(sample, "/tmp/a\\040b/disk", NULL));
	assert_false(mountinfo_find(sample, "/tmp/root", NULL)); /* the root within the disk */
	assert_false(mountinfo_find(sample, "/tmp/cut", NULL));  /* cut off */
	assert_false(mountinfo_find("", "/", NULL));
	assert_false(mountinfo_find("\n\n - \n", "/", NULL));
}

static void options_are_whole_words(void **unused)
{
	struct mountinfo m = {.options = "rw,errors=remount-ro,shutdown"};

	(void)unused;
	assert_true(mountinfo_has_option(&m, "shutdown"));
	assert_true(mountinfo_has_option(&m, "rw"));
	assert_false(mountinfo_has_option(&m, "ro"));
	assert_false(mountinfo_has_option(&m, "shut"));
	m.options[0] = '\0';
	assert_false(mountinfo_has_option(&m, "rw"));
}

static void escapes_are_undone(void **unused)
{
	char text[] = "a\\040b\\134\\011\\08x\\0";

	(void)unused;
	mountinfo_unescape(text);
	assert_string_equal(text, "a b\\\t\\08x\\0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_is_found_by_its_path),
		cmocka_unit_test(the_last_of_several_counts),
		cmocka_unit_test(what_is_not_mounted_is_not_found),
		cmocka_unit_test(options_are_whole_words),
		cmocka_unit_test(escapes_are_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
