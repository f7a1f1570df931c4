import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/**
 * The job by Flink SQL in streaming mode, parallelism 1: java Job.java SQL[,SQL] DAY RESULTS EVENTS.
 * Statements of the files are run in order; their INSERTs are one job. It runs twice in the same JVM
 * and the second time is measured, from the submission of the job, since a Flink that serves a
 * contact centre has been up for long. What the first time took is told as well.
 */
public class Job {
  public static void main(String[] words) throws Exception {
    Took cold = run(words[0], words[1], words[2] + ".cold");
    Took warm = run(words[0], words[1], words[2]);
    System.out.printf(
        Locale.ROOT,
        "{\"events\": %s, \"wall_s\": %.3f, \"cpu_s\": %.3f,"
            + " \"cold_wall_s\": %.3f, \"cold_cpu_s\": %.3f}%n",
        words[3], warm.wallS, warm.cpuS, cold.wallS, cold.cpuS);
    System.exit(0);
  }

  private record Took(double wallS, double cpuS) {}

  private static Took run(String files, String day, String results) throws Exception {
    TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
    tables.getConfig().set("parallelism.default", "1");
    tables.getConfig().set("table.local-time-zone", "UTC");
    StatementSet inserts = tables.createStatementSet();
    for (String statement : read(files, day, results).split(";")) {
      if (statement.strip().startsWith("INSERT")) {
        inserts.addInsertSql(statement.strip());
      } else if (!statement.isBlank()) {
        tables.executeSql(statement.strip());
      }
    }
    long wall = System.nanoTime();
    long cpu = cpuNanos();
    inserts.execute().await();
    return new Took((System.nanoTime() - wall) / 1e9, (cpuNanos() - cpu) / 1e9);
  }

  private static String read(String files, String day, String results) throws IOException {
    StringBuilder read = new StringBuilder();
    for (String file : files.split(",")) {
      read.append(Files.readString(Path.of(file)));
    }
    return read.toString()
        .replaceAll("(?m)^--.*$", "")
        .replace("{day}", Path.of(day).toUri().toString())
        .replace("{results}", Path.of(results).toUri().toString());
  }

  private static long cpuNanos() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }
}
