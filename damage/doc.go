// Package damage has tests only: each object of some small cells is damaged in each way
// that there is, and whoever recovers, follows, leads or verifies the cell must name what
// is wrong, or come to the right state nevertheless. What is neither is allowed by a rule
// of the protocol alone, which rules_test.go names.
//
// With SCHEDULER_STORE_DAMAGE=all, as make damage sets it, every bit of every object is
// flipped, and the rest is whole too; a follower and a leader then meet one bit of each
// byte and one length of eight. Else a sample is tried.
package damage
