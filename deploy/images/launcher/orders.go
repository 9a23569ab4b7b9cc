package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"
)

const mostSeconds = 10 * 365 * 24 * 60 * 60

// An order is what the command line asks for.
type order struct {
	limit   time.Duration
	grace   time.Duration // after a SIGTERM; 0 is as long as whoever sent it allows
	note    string
	after   string          // a file: the command waits until it is there; empty is nothing to wait for
	largest uint64          // bytes of a file that the command writes; 0 is no limit of ours
	dropped map[string]bool // variables that the command does not get
	command []string
}

// readOrder reads no environment: that is the image's, and an image may be hostile.
func readOrder(arguments []string) (order, error) {
	flags := flag.NewFlagSet("launch", flag.ContinueOnError)
	seconds := flags.Uint("seconds", 0, "what the command may take")
	grace := flags.Uint("grace", 0, "seconds that the command has after a SIGTERM; 0 is no limit")
	after := flags.String("after", "", "the `file` that must be there before the command starts")
	largest := flags.Uint64("largest-file", 0, "`bytes` that a file of the command may have; 0 is no limit")
	drop := flags.String("drop", "", "`names`, with commas, of variables that the command does not get")
	note := flags.String("message", "/dev/termination-log", "the `file` that gets the message")
	if err := flags.Parse(arguments); err != nil {
		return order{}, err
	}
	if *seconds == 0 || *seconds > mostSeconds || *grace > mostSeconds {
		return order{}, fmt.Errorf("--seconds is from 1 to %d, --grace at most that", mostSeconds)
	}
	if flags.NArg() == 0 {
		return order{}, errors.New("usage: launch --seconds N [--grace G] -- COMMAND [ARG...]")
	}
	return order{
		limit:   time.Duration(*seconds) * time.Second,
		grace:   time.Duration(*grace) * time.Second,
		note:    *note,
		after:   *after,
		largest: *largest,
		dropped: set(*drop),
		command: flags.Args(),
	}, nil
}

func set(names string) map[string]bool {
	found := make(map[string]bool)
	for _, name := range strings.Split(names, ",") {
		found[name] = true
	}
	return found
}
