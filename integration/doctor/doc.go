// Package doctor holds the tests of 'scheduler-store doctor' against real servers, good
// and bad ones. What it prints there is in docs/doctor.md. It has no code of its own.
package doctor
