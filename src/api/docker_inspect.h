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
	bool short_alias; /* API before 1.45: a container's short id is among its aliases */
};

/** docker_inspect() - answer of GET /containers/{id}/json; new reference */
json_t *docker_inspect(const struct instance_view *v, const struct docker_paths *paths);

/** docker_summary() - one element of GET /containers/json; new reference */
json_t *docker_summary(const struct instance_view *v, const struct docker_paths *paths,
		       int64_t now_ns);

/**
 * docker_network_id() - 64 hex digits in @buf[65]: the stable id of "bridge", "host" or "none", or
 * @name itself when it is an id
 */
const char *docker_network_id(const char *name, char *buf);

/** docker_endpoint_id() - of the @k-th endpoint: 64 hex digits in @buf[65]; Return: @buf */
const char *docker_endpoint_id(const struct instance_view *v, size_t k, char *buf);

#endif
