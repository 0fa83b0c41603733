# SPDX-License-Identifier: Apache-2.0

"""Prints the methods and paths of the installed Ironic's API, {id} for any element, by walking its controllers."""

import inspect

from ironic.api.controllers import v1
from pecan import rest

found = set()


def walk(path, controller, depth=0):
    if depth > 5:
        return
    for name, member in inspect.getmembers(controller):
        if name.startswith('_'):
            continue
        if callable(member) and getattr(member, 'exposed', False):
            method = {'post': 'POST', 'put': 'PUT', 'patch': 'PATCH', 'delete': 'DELETE'}.get(name)
            if method:
                found.update({(path, method), (path + '/{id}', method)})
            elif name in ('get_all', 'get', 'index'):
                found.add((path, 'GET'))
            elif name == 'get_one':
                found.add((path + '/{id}', 'GET'))
            else:
                found.add((path + '/' + name, 'GET'))
        elif isinstance(member, rest.RestController):
            walk(path + '/' + name, member, depth + 1)
            if path != '/v1':
                walk(path + '/{id}/' + name, member, depth + 1)
    for name, methods in getattr(controller, '_custom_actions', {}).items():
        for method in methods:
            found.update({(path + '/' + name, method), (path + '/{id}/' + name, method)})
    for name, below in getattr(controller, '_subcontroller_map', {}).items():
        at = path if path in ('/v1', '/v1/volume') else path + '/{id}'
        if inspect.isclass(below):
            below = make(below)
        if below is None:
            found.add((at + '/' + name, 'GET'))
        else:
            walk(at + '/' + name, below, depth + 1)


def make(kind):
    """Makes a controller that belongs to an element."""
    for arguments in ((), ('x',), ('x', 'x')):
        for named in ({}, {'node_ident': 'x'}, {'parent_node_ident': 'x'}):
            try:
                return kind(*arguments, **named)
            except Exception:
                continue


walk('/v1', v1.Controller())
for path, method in sorted(found):
    print(method, path)
