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
)

func main() {
	os.Exit(launch(os.Args[1:]))
}

func launch(arguments []string) int {
	order, err := readOrder(arguments)
	if err == nil {
		err = harden()
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
	limit := time.NewTimer(order.limit)

	began := time.Now()
	end := run(order, limit.C, forwarded)
	note.write(end, began, time.Now(), gauges.read())
	return end.code()
}

func run(order order, limit <-chan time.Time, forwarded <-chan os.Signal) end {
	command, err := start(order.command, order.dropped)
	if err != nil {
		complain(err)
		return end{failure: err}
	}
	family := watch(command)
	defer family.clear()
	return family.await(order, limit, forwarded)
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

// complain writes to the step's log. Before the command has started nobody else has filled it, so
// that this does not block.
func complain(err error) {
	fmt.Fprintf(os.Stderr, "launch: %v\n", err)
}
