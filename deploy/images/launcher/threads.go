package main

import (
	"runtime"
	"sync"
)

// More than are ever used at once: one that runs, one that waits for children, one for signals, and
// the runtime's own two.
const spareThreads = 8

// startThreads makes the runtime start its threads now. It keeps them; and it dies if it needs one
// when the command has used up the processes that the container may have.
func startThreads() {
	runtime.GOMAXPROCS(1)
	var arrived, left sync.WaitGroup
	leave := make(chan struct{})
	arrived.Add(spareThreads)
	for range spareThreads {
		left.Go(func() {
			runtime.LockOSThread() // so each needs one of its own
			defer runtime.UnlockOSThread()
			arrived.Done()
			<-leave
		})
	}
	arrived.Wait()
	close(leave)
	left.Wait()
}
