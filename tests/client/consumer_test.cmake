# Installs the client into an empty folder, and builds and runs another project against it.
# Called with -DBUILD=..., -DSOURCE=... (consumer/), -DFOLDER=... (emptied first),
# -DGENERATOR=...
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGV}\n${output}")
  endif()
  message(STATUS "${output}")
endfunction()

file(REMOVE_RECURSE ${FOLDER})
run(${CMAKE_COMMAND} --install ${BUILD} --component client --prefix ${FOLDER}/prefix)
run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE} -B ${FOLDER}/build -DCMAKE_PREFIX_PATH=${FOLDER}/prefix
    -DCMAKE_CXX_FLAGS=-Wall\ -Wextra\ -Werror)
run(${CMAKE_COMMAND} --build ${FOLDER}/build)
run(${FOLDER}/build/consumer)
# The public header names neither generated types nor Abseil.
file(READ ${FOLDER}/prefix/include/dimwatch/client.h header)
if(header MATCHES "absl|grpc|v1::|\\.pb\\.h")
  message(FATAL_ERROR "dimwatch/client.h shows what it is made of")
endif()
