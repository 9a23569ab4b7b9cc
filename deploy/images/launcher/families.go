package main

import (
	"os"
	"syscall"
	"time"
)

const (
	killAgain = 100 * time.Millisecond
	// How long what was killed is waited for. The kernel may keep a process in a system call for
	// as long as it likes; whoever leads the container then has to deal with it.
	patience = 10 * time.Second
)

// A family is the command with all that it starts: every other process of the namespace.
type family struct {
	command int
	ended   <-chan syscall.WaitStatus // the command itself
	gone    <-chan struct{}           // everybody
}

// watch reaps whoever ends, orphans too: the kernel gives them to process 1.
func watch(command int) family {
	ended := make(chan syscall.WaitStatus, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			var status syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &status, 0, nil)
			switch {
			case err == syscall.EINTR:
			case err != nil: // ECHILD
				return
			case pid == command:
				ended <- status
			}
		}
	}()
	return family{command: command, ended: ended, gone: gone}
}

// await forwards signals until the command has ended, by itself or because its time was over.
func (f family) await(order order, limit <-chan time.Time, forwarded <-chan os.Signal) end {
	var grace, lost <-chan time.Time
	overdue := false
	for {
		select {
		case status := <-f.ended:
			return end{status: status, overdue: overdue}
		case signal := <-forwarded:
			f.forward(signal)
			if signal == syscall.SIGTERM && order.grace > 0 && grace == nil {
				grace = time.After(order.grace)
			}
		case <-limit:
			overdue = true
			lost = killAll()
		case <-grace:
			lost = killAll()
		case <-lost:
			return end{status: syscall.WaitStatus(syscall.SIGKILL), overdue: overdue}
		}
	}
}

// clear returns when nobody is left, or nobody can be ended.
func (f family) clear() {
	lost := killAll()
	for {
		select {
		case <-f.gone:
			return
		case <-lost:
			return
		case <-time.After(killAgain):
			killAll()
		}
	}
}

// forward sends to the command's whole process group: a shell does not pass on what it gets.
func (f family) forward(signal os.Signal) {
	_ = syscall.Kill(-f.command, signal.(syscall.Signal))
}

// killAll ends everybody but us, in one step: the kernel lets no process fork that has a SIGKILL
// before it. The channel says when there is no use in waiting longer.
func killAll() <-chan time.Time {
	_ = syscall.Kill(-1, syscall.SIGKILL)
	return time.After(patience)
}
