// Launch is process 1 of a step's container on Kubernetes: it starts the step's command, ends it
// when its time is over, lets nothing outlive it, and leaves a message that says how it went.
//
// It runs as the same user as code that may be hostile. So it relies on what the kernel grants to
// process 1 of a PID namespace, and refuses to be anything else.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	failedItself  = 125 // as container engines exit where the fault is theirs
	notExecutable = 126
	notFound      = 127
	signalBase    = 128

	isThere   = 0 // F_OK
	lookAgain = 10 * time.Millisecond
)

func main() {
	os.Exit(launch(os.Args[1:]))
}

func launch(arguments []string) int {
	order, err := readOrder(arguments)
	if err == nil {
		err = harden()
	}
	if err == nil && order.largest > 0 {
		err = limitFiles(order.largest)
	}
	if err != nil {
		complain(err)
		return failedItself
	}
	// Everything that takes a file, a thread or a signal handler comes before the command: its
	// code may leave none to be had.
	note := openNote(order.note)
	gauges := openGauges(cgroups)
	forwarded := takeSignals()
	startThreads()

	ended := waitFor(order.after, forwarded)
	began := time.Now()
	if ended == nil {
		ended = run(order, time.NewTimer(order.limit).C, forwarded)
	}
	note.write(*ended, began, time.Now(), gauges.read())
	return ended.code()
}

// waitFor returns when the file is there; before that a SIGTERM ends what has not begun.
func waitFor(file string, forwarded <-chan os.Signal) *end {
	for file != "" && syscall.Access(file, isThere) != nil {
		select {
		case signal := <-forwarded:
			if signal == syscall.SIGTERM {
				return &end{status: syscall.WaitStatus(syscall.SIGTERM)}
			}
		case <-time.After(lookAgain):
		}
	}
	return nil
}

func run(order order, limit <-chan time.Time, forwarded <-chan os.Signal) *end {
	command, err := start(order.command, order.dropped)
	if err != nil {
		complain(err)
		return &end{failure: err}
	}
	family := watch(command)
	defer family.clear()
	found := family.await(order, limit, forwarded)
	return &found
}

// harden makes this process unreadable and untraceable for others of its user.
func harden() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("this ends every process that it sees, so it runs as process 1 of a container only")
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
	if errno != 0 {
		return fmt.Errorf("cannot protect itself from the step's code: %w", errno)
	}
	return nil
}

// limitFiles holds for this process and all below it. What the kubelet keeps for a container (its
// message) is on the node's disk, and counts for no limit of the pod's.
func limitFiles(largest uint64) error {
	limit := syscall.Rlimit{Cur: largest, Max: largest}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return fmt.Errorf("cannot limit files: %w", err)
	}
	return nil
}

// complain writes to the step's log. Before the command has started nobody else has filled it, so
// that this does not block.
func complain(err error) {
	fmt.Fprintf(os.Stderr, "launch: %v\n", err)
}
