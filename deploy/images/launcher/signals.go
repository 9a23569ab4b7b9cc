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

// The runtime interrupts its own threads with this one.
const runtimeSignal = syscall.SIGURG

// takeSignals takes the signals that are forwarded, and leaves all others to the kernel, which
// drops for process 1 what it has no handler for. Go's own handlers would end this process for
// some of them: any process of this user may send SIGQUIT, or queue a SIGSEGV.
func takeSignals() <-chan os.Signal {
	taken := make(chan os.Signal, 16)
	signal.Notify(taken, forwardedSignals...)
	for number := syscall.Signal(1); number <= lastSignal; number++ {
		if !isHandled(number) {
			setDefault(number)
		}
	}
	return taken
}

func isHandled(number syscall.Signal) bool {
	return number == runtimeSignal || slices.Contains(forwardedSignals, os.Signal(number))
}

// setDefault is refused for SIGKILL and SIGSTOP, which nobody can handle.
func setDefault(number syscall.Signal) {
	var action [4]uint64 // the kernel's sigaction: SIG_DFL, no flags, no restorer, an empty mask
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION,
		uintptr(number), uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action[3]), 0, 0)
}
