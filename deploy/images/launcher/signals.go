package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"unsafe"
)

const lastSignal = 64

var forwardedSignals = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
}

// The runtime interrupts its own threads with the first. Who ignores the second reaps nobody.
var runtimeSignals = []syscall.Signal{syscall.SIGURG, syscall.SIGCHLD}

// takeSignals takes the signals that are forwarded, and ignores all others that Go's runtime has
// taken: it would end this process for some of them, and any process of this user may send SIGQUIT
// or queue a SIGSEGV. In the command all are as usual: the runtime resets there what it took.
//
// They are not left to the kernel, although it drops for process 1 what has no handler: where a
// thread blocks such a signal (the runtime does), Linux ends process 1 all the same.
func takeSignals() <-chan os.Signal {
	taken := make(chan os.Signal, 16)
	signal.Notify(taken, forwardedSignals...)
	for number := syscall.Signal(1); number <= lastSignal; number++ {
		kept := slices.Contains(forwardedSignals, os.Signal(number)) ||
			slices.Contains(runtimeSignals, number)
		if !kept && isTaken(number) {
			change(number, &action{handler: ignore}, nil)
		}
	}
	return taken
}

// An action is the kernel's struct sigaction.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const ignore = 1 // SIG_IGN; SIG_DFL is 0, and what is above is a function

func isTaken(number syscall.Signal) bool {
	var now action
	change(number, nil, &now)
	return now.handler > ignore
}

// change cannot fail: only SIGKILL and SIGSTOP are refused, and nobody takes those.
func change(number syscall.Signal, to, before *action) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(number),
		uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(before)), unsafe.Sizeof(action{}.mask), 0, 0)
}
