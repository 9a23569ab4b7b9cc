package main

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const cgroups = "/sys/fs/cgroup"

// A gauge is a number that the kernel keeps for the container's control group.
type gauge struct {
	directory string
	file      string
	field     string // in files of several lines
	unit      int64  // so many are one of what is told
}

var processorTime = []gauge{
	{directory: ".", file: "cpu.stat", field: "usage_usec", unit: 1_000},
	{directory: "cpuacct", file: "cpuacct.usage", unit: 1_000_000},
	{directory: "cpu,cpuacct", file: "cpuacct.usage", unit: 1_000_000},
}

var peakMemory = []gauge{
	{directory: ".", file: "memory.peak", unit: 1},
	{directory: "memory", file: "memory.max_usage_in_bytes", unit: 1},
}

// Gauges are open files, read when the command has ended.
type gauges struct {
	processor, memory reading
}

type reading struct {
	gauge gauge
	file  int
}

const (
	noFile      = -1
	longestFile = 4096
)

// A usage is what the container took; nil is unknown.
type usage struct {
	cpuMilliseconds *int64
	peakMemoryBytes *int64
}

func openGauges(root string) gauges {
	return gauges{processor: openFirst(root, processorTime), memory: openFirst(root, peakMemory)}
}

func (g gauges) read() usage {
	processor := g.processor.read()
	if processor == nil {
		processor = timeOfChildren()
	}
	return usage{cpuMilliseconds: processor, peakMemoryBytes: g.memory.read()}
}

func openFirst(root string, candidates []gauge) reading {
	for _, candidate := range candidates {
		directory := path.Join(root, candidate.directory)
		if !isOurs(directory) {
			continue
		}
		file, err := syscall.Open(path.Join(directory, candidate.file), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == nil {
			return reading{gauge: candidate, file: file}
		}
	}
	return reading{file: noFile}
}

// isOurs tells our own control group from others that a container sees where its runtime hides
// nothing of the machine.
func isOurs(directory string) bool {
	if isMachines(directory) {
		return false
	}
	file, err := syscall.Open(path.Join(directory, "cgroup.procs"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(file)
	return slices.Contains(strings.Fields(content(file)), "1")
}

// isMachines: the root of a hierarchy alone has the first file (version 1), or lacks the last one
// (version 2).
func isMachines(directory string) bool {
	if exists(directory + "/release_agent") {
		return true
	}
	return exists(directory+"/cgroup.controllers") && !exists(directory+"/cgroup.events")
}

func exists(name string) bool {
	return syscall.Access(name, 0) == nil
}

func (r reading) read() *int64 {
	if r.file == noFile {
		return nil
	}
	text := content(r.file)
	if r.gauge.field != "" {
		_, text, _ = strings.Cut(text, r.gauge.field+" ")
	}
	word, _, _ := strings.Cut(text, "\n")
	number, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return nil
	}
	number /= r.gauge.unit
	return &number
}

func timeOfChildren() *int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used); err != nil {
		return nil
	}
	milliseconds := (used.Utime.Nano() + used.Stime.Nano()) / 1_000_000
	return &milliseconds
}

// content is the beginning of a small file; empty where it cannot be read.
func content(file int) string {
	buffer := make([]byte, longestFile)
	size, err := syscall.Pread(file, buffer, 0)
	if err != nil {
		return ""
	}
	return string(buffer[:size])
}
