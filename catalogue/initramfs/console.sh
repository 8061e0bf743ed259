#!/bin/sh
# A root shell on the console. It needs a session with a controlling terminal, or Ctrl-C and job control do not
# work; the machine is off when it ends.
export HOME=/root
setsid cttyhack sh -l
poweroff -f
