// Package adminclient asks a running service over its admin API, as the command line does.
//
// A Client sends its token to the one address that it was given and nowhere else: it follows no redirect, and lets no
// proxy read along. Each answer comes twice: decoded into the types here, and as the service wrote it, for programs.
// What a newer service adds is left alone; statuses and other words are strings here, so that one that this version
// does not know can still be shown.
//
// The types are the API's shapes as its description has them, and none of the service's own: the commands know a service
// by its wire alone, as any program does, and may be of another version. A test of package api holds them against the
// description.
//
// What the service refuses is a *Refusal, a service that can't be reached an *Unreachable.
package adminclient
