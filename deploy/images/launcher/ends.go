package main

import "syscall"

// An end is how it went with the command.
type end struct {
	failure error // why it was not started
	status  syscall.WaitStatus
	overdue bool
}

func (e end) word() string {
	switch {
	case e.failure != nil:
		return "not_started"
	case e.status.Exited():
		return "exited"
	case e.overdue:
		return "timed_out"
	default:
		return "signaled"
	}
}

// code is what a shell says of such an end.
func (e end) code() int {
	switch {
	case e.failure != nil:
		return codeOf(e.failure)
	case e.status.Exited():
		return e.status.ExitStatus()
	default:
		return signalBase + int(e.status.Signal())
	}
}
