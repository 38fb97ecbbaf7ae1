/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/restart.h"

bool restart_wanted(const struct restart_case *c)
{
	switch (c->policy) {
	case RESTART_NO:
		return false;
	case RESTART_ON_FAILURE:
		return !c->stopped_by_user && c->exit_code != 0 &&
		       (c->max == 0 || c->count < c->max);
	case RESTART_ALWAYS:
		return c->at_boot || !c->stopped_by_user;
	case RESTART_UNLESS_STOPPED:
		return !c->stopped_by_user;
	}
	return false;
}

int64_t restart_delay_ns(int64_t last_ns, int64_t ran_ns)
{
	if (last_ns == 0 || ran_ns >= RESTART_GOOD_NS)
		return RESTART_FIRST_NS;
	return last_ns * 2 > RESTART_MAX_NS ? RESTART_MAX_NS : last_ns * 2;
}
