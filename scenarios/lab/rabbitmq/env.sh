# shellcheck shell=sh
# Made by mqaudit lab up: the environment of a node of the lab, and of the tools that ask it. The
# user's own settings of RabbitMQ and those of the machine's do not count here.
for name in $(env | sed -n 's/^\(RABBITMQ_[A-Z_]*\)=.*/\1/p'); do
	unset "$name"
done
unset NOTIFY_SOCKET ERL_EPMD_PORT ERL_EPMD_ADDRESS ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS
lab=@LAB_FOLDER@
node=$lab/@NODE@
export HOME="$lab/home"
export RABBITMQ_CONF_ENV_FILE=/dev/null
export RABBITMQ_NODENAME=rabbit@@ADDRESS@
export RABBITMQ_USE_LONGNAME=true
export RABBITMQ_MNESIA_BASE=@DATA@
export RABBITMQ_LOG_BASE="$node"
export RABBITMQ_LOGS=-
export RABBITMQ_CONFIG_FILE="$node/rabbitmq.conf"
export RABBITMQ_CONFIG_FILES="$node/none"
export RABBITMQ_ADVANCED_CONFIG_FILE="$node/advanced.config"
export RABBITMQ_GENERATED_CONFIG_DIR="$node/generated"
export RABBITMQ_ENABLED_PLUGINS_FILE="$node/enabled_plugins"
