/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/project.h"

#include <fcntl.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static void a_file_system_without_projects_says_so(void **state)
{
	OWN(fd) int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct project_usage u;

	(void)state;
	assert_false(project_is_enforced(fd));
	assert_int_equal(project_get(fd), 0);
	OWN(err) struct err *put = project_put(fd, 5);
	OWN(err) struct err *limit = project_limit(fd, 5, 1 << 20);
	OWN(err) struct err *usage = project_usage(fd, 5, &u);

	assert_true(put && limit && usage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_system_without_projects_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
