/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DOCKER_INSPECT_H
#define API_DOCKER_INSPECT_H

/*
 * Docker's documents about an instance.  Pure but for reading the view.
 *
 * Spec: Docker Engine API 1.50, ContainerInspectResponse, ContainerSummary.
 */

#include "engine/engine.h"
#include "json/json.h"

struct docker_paths {
	const char *root; /* of the daemon, for volumes' mount points */
};

/** docker_inspect() - answer of GET /containers/{id}/json; new reference */
json_t *docker_inspect(const struct instance_view *v, const struct docker_paths *paths);

/** docker_summary() - one element of GET /containers/json; new reference */
json_t *docker_summary(const struct instance_view *v, const struct docker_paths *paths,
		       int64_t now_ns);

/** docker_network_id() - the stable id of "bridge", "host" or "none": 64 hex digits in @buf[65] */
const char *docker_network_id(const char *name, char *buf);

#endif
