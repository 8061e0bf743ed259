# Read by the login shell on the console.
PS1='\u@\h:\w# '
cd
echo
echo "Bunkhouse: Linux $(uname -r) on $(uname -m), root shell of a BusyBox guest."
echo "To quit, type \"poweroff -f\" or press Ctrl-A X."
echo
