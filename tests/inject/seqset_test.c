/* The N-th allocation fails, for N = 1, 2, 3, ... until nothing fails any more. */
/* wrap: malloc realloc calloc */
#include "core/seqset.h"

#include "tests/inject.h"
#include "tests/unit.h"

/* A set of n ranges [10 i, 10 i + 5]. */
static struct seqset *make(uint64_t n)
{
	struct seqset *s = seqset_new();

	assert_non_null(s);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(seqset_add(s, 10 * i, 10 * i + 5, NULL), 0);
	return s;
}

static struct seqset *copy_of(const struct seqset *s)
{
	struct seqset *copy = seqset_new(), *none = seqset_new();

	assert_int_equal(seqset_union(s, none, copy), 0);
	seqset_free(none);
	return copy;
}

static void a_failed_new_is_null(void **state)
{
	(void)state;
	inject_countdown = 1;
	assert_null(seqset_new());
	inject_countdown = 0;
}

typedef int (*change_fn)(struct seqset *s, uint64_t at);

static int add_one(struct seqset *s, uint64_t at)
{
	uint64_t added = 77;
	int rc = seqset_add(s, 10 * at + 7, 10 * at + 8, &added);

	assert_int_equal(added, rc ? 77 : 2);
	return rc;
}

static int punch_hole(struct seqset *s, uint64_t at)
{
	return seqset_remove(s, 10 * at + 2, 10 * at + 3);
}

/* Returns how many allocations the change made. */
static size_t try_change(change_fn change, uint64_t n, uint64_t at)
{
	for (size_t nth = 1;; nth++) {
		struct seqset *s = make(n), *before = copy_of(s);
		int rc;

		inject_failed = false;
		inject_countdown = nth;
		rc = change(s, at);
		inject_countdown = 0;
		if (inject_failed) {
			assert_int_equal(rc, ERR_NOMEM);
			assert_true(seqset_equal(s, before));
			/* and it works when there is memory again */
			assert_int_equal(change(s, at), 0);
		} else {
			assert_int_equal(rc, 0);
		}
		assert_int_equal(seqset_ranges(s), n + 1);
		seqset_free(s);
		seqset_free(before);
		if (!inject_failed)
			return nth - 1;
	}
}

static void a_failed_change_leaves_the_set_as_it_was(void **state)
{
	/* around one block, two, and where the array of blocks grows (4 blocks, 8) */
	static const uint64_t sizes[] = {0, 1, 127, 128, 129, 256, 512, 513, 1024, 1100};
	size_t failures = 0;

	(void)state;
	for (size_t i = 0; i < N_OF(sizes); i++) {
		uint64_t n = sizes[i];

		for (uint64_t at = 0; at <= n; at += n / 3 + 1)
			failures += try_change(add_one, n, at);
		for (uint64_t at = 0; at < n; at += n / 3 + 1)
			failures += try_change(punch_hole, n, at);
	}
	/* or else nothing was tested */
	assert_true(failures > 20);
}

typedef int (*algebra_fn)(const struct seqset *a, const struct seqset *b, struct seqset *ret);

static void try_algebra(algebra_fn algebra)
{
	size_t nth = 0;

	do {
		struct seqset *a = make(1000), *b = make(1), *ret = make(3);
		int rc;

		/* a punched through, so that no operation gives an empty set */
		for (uint64_t i = 0; i < 1000; i += 2)
			assert_int_equal(seqset_add(b, 10 * i + 4, 10 * i + 7, NULL), 0);
		inject_failed = false;
		inject_countdown = ++nth;
		rc = algebra(a, b, ret);
		inject_countdown = 0;
		assert_int_equal(rc, inject_failed ? ERR_NOMEM : 0);
		assert_int_equal(seqset_ranges(ret) == 0, inject_failed);
		if (inject_failed) {
			assert_int_equal(seqset_count(ret), 0);
			assert_int_equal(algebra(a, b, ret), 0);
		}
		assert_true(seqset_count(ret) > 0);
		seqset_free(a);
		seqset_free(b);
		seqset_free(ret);
	} while (inject_failed);
	assert_true(nth > 3);
}

static void failed_algebra_gives_an_empty_set(void **state)
{
	(void)state;
	try_algebra(seqset_union);
	try_algebra(seqset_intersect);
	try_algebra(seqset_subtract);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_new_is_null),
		cmocka_unit_test(a_failed_change_leaves_the_set_as_it_was),
		cmocka_unit_test(failed_algebra_gives_an_empty_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
