# Takes the descriptor away, and with it the page out of Tomcat.
class roboconf_webapp::stop (
  $runningState = undef,
) {
  $context = "Catalina/localhost/${facts['fieldconf_instance_name']}"

  file { "${facts['fieldconf_parent_data_dir']}/conf/${context}.xml":
    ensure => absent,
  }
}
