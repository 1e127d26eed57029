// Package config reads the service's configuration and hands it on as plain structs: at the start, and again when
// it is reloaded ([Config.Changes] tells what is different).
//
// A value comes from the first of these that gives it:
//
//	environment   CARRIER_SERVER_LISTEN, CARRIER_ACCOUNTS_0_SECRET, ... (env.go)
//	file          one YAML document (parse.go); ${NAME} in a value is replaced from the environment (expand.go)
//	default       [Default] and [DefaultAccount]
//
// [Load] refuses what can't be read: YAML errors, unknown and repeated keys, wrong types, undefined variables, secret
// files that can't be opened. [Config.Check] refuses what can be read but can't work, and [Config.Warnings] tells
// what works but deserves a look. Each finding is one line that names where the value stands, its key, and what to
// do about it.
//
// What a key means, its limits and its choices are written once, in keys.go. The checks, the JSON Schema for editors
// ([Schema]) and the table in the README ([Reference]) are all made from there.
//
// Secrets are of the type [Secret], which can't be printed.
package config
