// Package adminclient asks a running service over its admin API, as the command line does.
//
// A Client sends its token to the one address that it was given and nowhere else: it follows no redirect, and lets no
// proxy read along. Each answer comes twice: decoded into the types here, and as the service wrote it, for programs.
// What a newer service adds is left alone; statuses and other words are strings here, so that one that this version
// does not know can still be shown.
//
// What the service refuses is a *Refusal, a service that can't be reached an *Unreachable.
package adminclient
