// Package chaos runs the real daemon, three times, on a real MinIO, and does to all of
// them what machines and networks do, while clients write and read and check every
// answer:
//
//	processes   kill -9 of the leader, of a standby, of several at once; SIGSTOP for
//	            longer than the lease, also of who is about to take over; SIGTERM
//	network     between one process, or all, and the store: cut, in one direction or
//	            both; refused; slow; reset; ended in the middle of bodies; late
//	store       kill -9 of MinIO, which comes back with the same data
//
// Snapshots, garbage collections without grace, backups, restores and rehearsals go on
// all the while. The order in which all this happens comes from a seed; what comes of it
// does not: these are real processes.
//
// A reader of its own, which goes straight to MinIO, copies the log as it is written,
// before anything of it is collected. At the end package simulation/check holds what each
// client was told against it: nothing acknowledged is lost, doubled or in another order;
// what was refused is not there; linearizable reads are linearizable.
//
//	chaos_test.go    the test: what is done, how often, and the verdict
//	nemesis_test.go  what is done to processes and to MinIO
//	cut_test.go      what is done to the network
//	cell_test.go     the daemons, which are started again whenever they end
//	link_test.go     the proxies
//	client_test.go   who writes and reads            housekeeper_test.go  who makes snapshots
//	archive_test.go  the log as it was written       follower_test.go     who only follows
//	verdict_test.go  what must hold at the end       result_test.go       what is kept of it
//
// make chaos runs all of it; the environment says how much (KILLS of leaders, FREEZES for
// longer than the lease, CUTS that depose a leader, RESTARTS of MinIO) and in which order
// (SEED).
package chaos
