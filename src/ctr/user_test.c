/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/user.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# app:x:7:7::/no:\n"
			     "app:x:1000:1000:An App:/home/app:/bin/sh\n"
			     "\n"
			     "bare:x:1001:1002\n"
			     "short:x\n"
			     "huge:x:99999999999:1::/:\n"
			     "top:x:4294967295:1::/:\n"
			     "1234:x:55:56::/home/n:\n"
			     "last:x:77:78::/last:/bin/sh";

static const char group[] = "root:x:0:\n"
			    "staff:x:50:app,last\n"
			    "apps:x:51:application,apply\n"
			    "audio:x:63:last,app\n"
			    "broken:x:zz:app\n"
			    "app:x:1000:\n";

static const struct {
	const char *text, *want; /* "uid gid home groups…", or the error */
} cases[] = {
	{ "", "0 0 /root 0" },
	{ "root", "0 0 /root 0" },
	{ "app", "1000 1000 /home/app 1000 50 63" },
	{ "1000", "1000 1000 /home/app 1000 50 63" },
	{ "app:staff", "1000 50 /home/app 50" },
	{ "app:50", "1000 50 /home/app 50" },
	{ "app:", "1000 1000 /home/app 1000 50 63" },
	{ ":staff", "0 50 /root 50" },
	{ "bare", "1001 1002 / 1002" },
	{ "last", "77 78 /last 78 50 63" },
	{ "1234", "55 56 /home/n 56" }, /* a name that is a number comes first */
	{ "4242", "4242 0 / 0" },
	{ "4242:4343", "4242 4343 / 4343" },
	{ "nobody", "unable to find user nobody: no matching entries in passwd file" },
	{ "app:none", "unable to find group none: no matching entries in group file" },
	{ "app:broken", "unable to find group broken: no matching entries in group file" },
	{ "short", "user short has no valid entry in passwd file" },
	{ "huge", "user huge has no valid entry in passwd file" },
	{ "top", "uids and gids must be in range 0-4294967294" },
	{ "4294967295", "uids and gids must be in range 0-4294967294" },
	{ "0:4294967295", "uids and gids must be in range 0-4294967294" },
	{ "99999999999", "unable to find user 99999999999: no matching entries in passwd file" },
	{ "-1", "unable to find user -1: no matching entries in passwd file" },
};

static char *answer(const char *p, const char *g, const char *text, const struct strv *groups)
{
	OWN(ctr_user) struct ctr_user u = { 0 };
	OWN(err) struct err *e = ctr_user_find(p, g, text, groups, &u);
	OWN(str) struct str out = { 0 };

	if (e)
		return xstrdup(err_text(e));
	str_addf(&out, "%u %u %s", u.uid, u.gid, u.home);
	for (size_t i = 0; i < u.n_groups; i++)
		str_addf(&out, " %u", u.groups[i]);
	return str_take(&out);
}

static void users_are_found_as_docker_finds_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *got = answer(passwd, group, cases[i].text, NULL);

		assert_string_equal(got, cases[i].want);
	}
}

static void additional_groups_are_names_or_numbers(void **state)
{
	OWN(strv) struct strv more = { 0 };

	(void)state;
	strv_add(&more, "audio");
	strv_add(&more, "9");
	strv_add(&more, "63");
	OWN(mem) char *got = answer(passwd, group, "4242", &more);

	assert_string_equal(got, "4242 0 / 0 63 9");
	strv_add(&more, "nosuch");
	OWN(mem) char *bad = answer(passwd, group, "4242", &more);

	assert_string_equal(bad, "unable to find group nosuch: no matching entries in group file");
}

static void an_image_without_a_database_has_numbers_only(void **state)
{
	OWN(mem) char *root = answer(NULL, NULL, "", NULL);
	OWN(mem) char *number = answer(NULL, NULL, "5:6", NULL);
	OWN(mem) char *name = answer(NULL, NULL, "app", NULL);

	(void)state;
	assert_string_equal(root, "0 0 / 0");
	assert_string_equal(number, "5 6 / 6");
	assert_string_equal(name, "unable to find user app: no matching entries in passwd file");
}

static void a_link_to_the_hosts_database_is_not_followed_out(void **state)
{
	char dir[] = "/tmp/user_testXXXXXX";
	OWN(ctr_user) struct ctr_user u = { 0 };
	OWN(fd) int root = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(root, "etc", 0755), 0);
	assert_int_equal(symlinkat("../../../../../etc/passwd", root, "etc/passwd"), 0);
	/* "daemon" is on every host, but not in this image. */
	assert_err(ctr_user_resolve(root, "daemon", NULL, &u), ERR_NOT_FOUND);
	unlinkat(root, "etc/passwd", 0);
	unlinkat(root, "etc", AT_REMOVEDIR);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_found_as_docker_finds_them),
		cmocka_unit_test(additional_groups_are_names_or_numbers),
		cmocka_unit_test(an_image_without_a_database_has_numbers_only),
		cmocka_unit_test(a_link_to_the_hosts_database_is_not_followed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
