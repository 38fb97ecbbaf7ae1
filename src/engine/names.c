/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/names.h"

#include "util/defs.h"
#include "util/mem.h"

static const char *const how[] = {
	"amber",  "ample",  "azure",  "bold",   "brave",  "brisk",  "calm",   "candid",  "clear",
	"clever", "cosy",   "crisp",  "deft",   "eager",  "early",  "fair",   "fleet",   "fond",
	"frank",  "fresh",  "gentle", "glad",   "golden", "grand",  "green",  "hale",    "happy",
	"hardy",  "honest", "humble", "jolly",  "keen",   "kind",   "lively", "lucid",   "lucky",
	"mellow", "merry",  "mild",   "modest", "neat",   "nimble", "noble",  "patient", "placid",
	"plain",  "polite", "proud",  "quick",  "quiet",  "rapid",  "ready",  "robust",  "rustic",
	"sage",   "serene", "sharp",  "silent", "simple", "sleek",  "smooth", "snug",    "sober",
	"solid",  "spry",   "steady", "stout",  "sunny",  "swift",  "tender", "tidy",    "tranquil",
	"trusty", "upbeat", "vivid",  "warm",   "wise",   "witty",  "worthy", "zesty",
};

static const char *const what[] = {
	"acorn",   "anchor",  "aspen",   "badger",  "bakery", "barley",  "beacon",  "birch",
	"bridge",  "brook",   "cabin",   "canal",   "cedar",  "cellar",  "chapel",  "cherry",
	"clover",  "copper",  "cottage", "creek",   "dell",   "dune",    "falcon",  "fern",
	"ferry",   "finch",   "forge",   "garden",  "glade",  "grove",   "harbour", "hearth",
	"heron",   "hostel",  "inn",     "island",  "kettle", "kite",    "ladder",  "lagoon",
	"lantern", "larch",   "ledge",   "linden",  "lodge",  "maple",   "marsh",   "meadow",
	"mill",    "moor",    "oak",     "orchard", "otter",  "pantry",  "pebble",  "pier",
	"pine",    "plover",  "quarry",  "quay",    "raven",  "reed",    "ridge",   "river",
	"robin",   "sail",    "shore",   "sparrow", "spruce", "station", "summit",  "tavern",
	"terrace", "thistle", "tower",   "trail",   "valley", "village", "willow",  "wren",
};

char *name_make(uint64_t random, unsigned try)
{
	const char *a = how[random % ARRAY_SIZE(how)];
	const char *b = what[(random >> 16) % ARRAY_SIZE(what)];

	if (!try)
		return xasprintf("%s_%s", a, b);
	/* More digits the longer it takes: always ends, even with thousands of names. */
	return xasprintf("%s_%s%llu", a, b,
			 (unsigned long long)((random >> 32) % (10ULL * try * try)));
}
