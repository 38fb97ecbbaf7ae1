/* SPDX-License-Identifier: Apache-2.0 */
#include "model/handover.h"

#include "util/defs.h"
#include "util/mem.h"

struct cell {
	bool is_known;
	enum handover_state next;
	enum handover_say say;
};

#define GO(to)                                                                                     \
	{                                                                                          \
		.is_known = true, .next = HANDOVER_##to                                            \
	}
#define GO_SAY(to, what)                                                                           \
	{                                                                                          \
		.is_known = true, .next = HANDOVER_##to, .say = SAY_##what                         \
	}

/* Cells left out are refused. */
static const struct cell table[HANDOVER_STATES][HANDOVER_EVENTS] = {
	[HANDOVER_HERE] = {
		[HANDOVER_BEGIN]          = GO(SENDING),
		[HANDOVER_CUT]            = GO(HERE),
		[HANDOVER_RECOVER]        = GO(HERE),
		[HANDOVER_HEARD_PREPARED] = GO_SAY(HERE, ABORT),
		[HANDOVER_HEARD_DROPPED]  = GO(HERE),
	},
	[HANDOVER_SENDING] = {
		[HANDOVER_LINKED]         = GO_SAY(SENDING, OFFER),
		[HANDOVER_CANCEL]         = GO_SAY(ABORTING, ABORT),
		[HANDOVER_CUT]            = GO(ABORTING),
		[HANDOVER_RECOVER]        = GO(ABORTING),
		[HANDOVER_HEARD_PREPARED] = GO_SAY(GIVEN, COMMIT),
		[HANDOVER_HEARD_DROPPED]  = GO(HERE),
	},
	[HANDOVER_ABORTING] = {
		[HANDOVER_LINKED]         = GO_SAY(ABORTING, ABORT),
		[HANDOVER_CANCEL]         = GO(ABORTING),
		[HANDOVER_CUT]            = GO(ABORTING),
		[HANDOVER_RECOVER]        = GO(ABORTING),
		[HANDOVER_HAND_HERE]      = GO_SAY(RECLAIMED, RECLAIM),
		[HANDOVER_HEARD_PREPARED] = GO(ABORTING),
		[HANDOVER_HEARD_TAKEN]    = GO(YIELDED),
		[HANDOVER_HEARD_DROPPED]  = GO(HERE),
	},
	[HANDOVER_GIVEN] = {
		[HANDOVER_LINKED]         = GO_SAY(GIVEN, COMMIT),
		[HANDOVER_CUT]            = GO(GIVEN),
		[HANDOVER_RECOVER]        = GO(GIVEN),
		[HANDOVER_HAND_HERE]      = GO_SAY(RECLAIMED, RECLAIM),
		[HANDOVER_HAND_THERE]     = GO(CEDED),
		[HANDOVER_HEARD_TAKEN]    = GO(GONE),
		[HANDOVER_HEARD_DROPPED]  = GO(HERE),
	},
	[HANDOVER_CEDED] = {
		[HANDOVER_LINKED]         = GO_SAY(CEDED, COMMIT),
		[HANDOVER_CUT]            = GO(CEDED),
		[HANDOVER_RECOVER]        = GO(CEDED),
		[HANDOVER_HAND_HERE]      = GO_SAY(RECLAIMED, RECLAIM),
		[HANDOVER_HAND_THERE]     = GO(CEDED),
		[HANDOVER_HEARD_TAKEN]    = GO(GONE),
		[HANDOVER_HEARD_DROPPED]  = GO(HERE),
	},
	[HANDOVER_RECLAIMED] = {
		[HANDOVER_LINKED]         = GO_SAY(RECLAIMED, RECLAIM),
		[HANDOVER_CUT]            = GO(RECLAIMED),
		[HANDOVER_RECOVER]        = GO(RECLAIMED),
		[HANDOVER_HAND_HERE]      = GO(RECLAIMED),
		[HANDOVER_HEARD_TAKEN]    = GO(RECLAIMED), /* of the COMMIT before */
		[HANDOVER_HEARD_DROPPED]  = GO(HERE),
	},
	[HANDOVER_YIELDED] = {
		[HANDOVER_CUT]            = GO(YIELDED),
		[HANDOVER_RECOVER]        = GO(YIELDED),
		[HANDOVER_HAND_HERE]      = GO_SAY(RECLAIMED, RECLAIM),
		[HANDOVER_HAND_THERE]     = GO(YIELDED),
		[HANDOVER_HEARD_TAKEN]    = GO(YIELDED),
		[HANDOVER_HEARD_DROPPED]  = GO(YIELDED),
	},
	[HANDOVER_GONE] = {
		[HANDOVER_CUT]            = GO(GONE),
		[HANDOVER_RECOVER]        = GO(GONE),
		[HANDOVER_HEARD_TAKEN]    = GO(GONE),
	},
	[HANDOVER_ABSENT] = {
		[HANDOVER_OFFER]          = GO(RECEIVING),
		[HANDOVER_CUT]            = GO(ABSENT),
		[HANDOVER_RECOVER]        = GO(ABSENT),
		[HANDOVER_COMMIT]         = GO_SAY(ABSENT, DROPPED),
		[HANDOVER_ABORT]          = GO_SAY(ABSENT, DROPPED),
		[HANDOVER_RECLAIM]        = GO_SAY(ABSENT, DROPPED),
	},
	[HANDOVER_RECEIVING] = {
		[HANDOVER_WHOLE]          = GO_SAY(PREPARED, PREPARED),
		[HANDOVER_CANCEL]         = GO_SAY(ABSENT, DROPPED),
		[HANDOVER_CUT]            = GO(ABSENT),
		[HANDOVER_RECOVER]        = GO(ABSENT),
		[HANDOVER_ABORT]          = GO_SAY(ABSENT, DROPPED),
		[HANDOVER_RECLAIM]        = GO_SAY(ABSENT, DROPPED),
	},
	[HANDOVER_PREPARED] = {
		[HANDOVER_CUT]            = GO(PREPARED),
		[HANDOVER_RECOVER]        = GO(PREPARED),
		[HANDOVER_HAND_HERE]      = GO(SEIZED),
		[HANDOVER_HAND_THERE]     = GO(DECLINED),
		[HANDOVER_COMMIT]         = GO_SAY(TAKEN, TAKEN),
		[HANDOVER_ABORT]          = GO_SAY(ABSENT, DROPPED),
		[HANDOVER_RECLAIM]        = GO_SAY(ABSENT, DROPPED),
	},
	[HANDOVER_DECLINED] = {
		[HANDOVER_CUT]            = GO(DECLINED),
		[HANDOVER_RECOVER]        = GO(DECLINED),
		[HANDOVER_HAND_HERE]      = GO(SEIZED),
		[HANDOVER_HAND_THERE]     = GO(DECLINED),
		[HANDOVER_COMMIT]         = GO_SAY(TAKEN, TAKEN),
		[HANDOVER_ABORT]          = GO_SAY(ABSENT, DROPPED),
		[HANDOVER_RECLAIM]        = GO_SAY(ABSENT, DROPPED),
	},
	[HANDOVER_SEIZED] = {
		[HANDOVER_CUT]            = GO(SEIZED),
		[HANDOVER_RECOVER]        = GO(SEIZED),
		[HANDOVER_HAND_HERE]      = GO(SEIZED),
		[HANDOVER_COMMIT]         = GO_SAY(TAKEN, TAKEN),
		[HANDOVER_ABORT]          = GO_SAY(SEIZED, TAKEN),
		[HANDOVER_RECLAIM]        = GO_SAY(RETURNED, DROPPED),
	},
	[HANDOVER_TAKEN] = {
		[HANDOVER_CUT]            = GO(TAKEN),
		[HANDOVER_RECOVER]        = GO(TAKEN),
		[HANDOVER_COMMIT]         = GO_SAY(TAKEN, TAKEN),
		[HANDOVER_RECLAIM]        = GO_SAY(RETURNED, DROPPED),
	},
	[HANDOVER_RETURNED] = {
		[HANDOVER_CUT]            = GO(RETURNED),
		[HANDOVER_RECOVER]        = GO(RETURNED),
		[HANDOVER_COMMIT]         = GO_SAY(TAKEN, TAKEN),
		[HANDOVER_RECLAIM]        = GO_SAY(RETURNED, DROPPED),
	},
};

struct trait {
	const char *name;
	bool may_run, has_it, is_doubtful, has_to_say;
};

static const struct trait traits[] = {
	[HANDOVER_HERE] = { "here", .may_run = true, .has_it = true },
	[HANDOVER_SENDING] = { "sending", .may_run = true, .has_it = true, .has_to_say = true },
	[HANDOVER_ABORTING] = { "aborting", .may_run = true, .has_it = true, .has_to_say = true },
	[HANDOVER_GIVEN] = { "given", .has_it = true, .is_doubtful = true, .has_to_say = true },
	[HANDOVER_CEDED] = { "ceded", .has_it = true, .has_to_say = true },
	[HANDOVER_RECLAIMED] = { "reclaimed", .may_run = true, .has_it = true, .has_to_say = true },
	[HANDOVER_YIELDED] = { "yielded", .has_it = true },
	[HANDOVER_GONE] = { "gone" },
	[HANDOVER_ABSENT] = { "absent" },
	[HANDOVER_RECEIVING] = { "receiving" },
	[HANDOVER_PREPARED] = { "prepared", .has_it = true, .is_doubtful = true },
	[HANDOVER_DECLINED] = { "declined", .has_it = true },
	[HANDOVER_SEIZED] = { "seized", .may_run = true, .has_it = true },
	[HANDOVER_TAKEN] = { "taken", .may_run = true, .has_it = true },
	[HANDOVER_RETURNED] = { "returned", .has_it = true },
};
_Static_assert(ARRAY_SIZE(traits) == HANDOVER_STATES, "describe every state");

struct handover_step handover_step(enum handover_state state, enum handover_event event)
{
	const struct cell *c = &table[state][event];

	if (!c->is_known)
		return (struct handover_step) { .next = state, .is_refused = true };
	return (struct handover_step) { .next = c->next, .say = c->say };
}

bool handover_may_run(enum handover_state state)
{
	return traits[state].may_run;
}

bool handover_has_it(enum handover_state state)
{
	return traits[state].has_it;
}

bool handover_is_doubtful(enum handover_state state)
{
	return traits[state].is_doubtful;
}

bool handover_has_to_say(enum handover_state state)
{
	return traits[state].has_to_say;
}

const char *handover_state_name(enum handover_state state)
{
	return traits[state].name;
}

bool handover_state_by_name(const char *name, enum handover_state *ret)
{
	for (unsigned s = 0; s < HANDOVER_STATES; s++) {
		if (streq(traits[s].name, name)) {
			*ret = s;
			return true;
		}
	}
	return false;
}

enum handover_event handover_heard(enum handover_say said)
{
	static const enum handover_event heard[] = {
		[SAY_OFFER] = HANDOVER_OFFER,
		[SAY_COMMIT] = HANDOVER_COMMIT,
		[SAY_ABORT] = HANDOVER_ABORT,
		[SAY_RECLAIM] = HANDOVER_RECLAIM,
		[SAY_PREPARED] = HANDOVER_HEARD_PREPARED,
		[SAY_TAKEN] = HANDOVER_HEARD_TAKEN,
		[SAY_DROPPED] = HANDOVER_HEARD_DROPPED,
	};

	return heard[said];
}
