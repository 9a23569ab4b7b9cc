package main

import (
	"encoding/json"
	"fmt"
	"syscall"
	"time"
)

const withMilliseconds = "2006-01-02T15:04:05.000Z"

// A message is all that leaves the container beside its exit code and its log.
type message struct {
	Ended           string `json:"ended"`
	CPUMilliseconds *int64 `json:"cpu_milliseconds"`
	PeakMemoryBytes *int64 `json:"peak_memory_bytes"`
	StartedAt       string `json:"started_at"`
	FinishedAt      string `json:"finished_at"`
}

// A note is the file that gets the message. The step's code may write to it as well, but not last.
type note struct {
	file int
}

func openNote(path string) note {
	file, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		complain(fmt.Errorf("no message will be left: %s: %w", path, err))
		return note{file: noFile}
	}
	return note{file: file}
}

// write leaves the message and nothing else; where that fails, nothing at all.
func (n note) write(end end, began, ended time.Time, used usage) {
	if n.file == noFile {
		return
	}
	content, err := json.Marshal(message{
		Ended:           end.word(),
		CPUMilliseconds: used.cpuMilliseconds,
		PeakMemoryBytes: used.peakMemoryBytes,
		StartedAt:       began.UTC().Format(withMilliseconds),
		FinishedAt:      ended.UTC().Format(withMilliseconds),
	})
	size := 0
	if err == nil {
		size, err = syscall.Pwrite(n.file, content, 0)
	}
	if err != nil || size != len(content) {
		size = 0
	}
	_ = syscall.Ftruncate(n.file, int64(size))
}
