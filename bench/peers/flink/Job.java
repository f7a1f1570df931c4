import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/**
 * The job by Flink SQL in streaming mode, parallelism 1: java Job.java SQL[,SQL] DAY RESULTS EVENTS.
 * Statements of the files are run in order; their INSERTs are one job. Time runs from the submission
 * of that job; the start of the JVM and the tables lie before it.
 */
public class Job {
  public static void main(String[] words) throws Exception {
    StringBuilder read = new StringBuilder();
    for (String file : words[0].split(",")) {
      read.append(Files.readString(Path.of(file)));
    }
    String sql = read.toString()
        .replaceAll("(?m)^--.*$", "")
        .replace("{day}", Path.of(words[1]).toUri().toString())
        .replace("{results}", Path.of(words[2]).toUri().toString());
    TableEnvironment tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
    tables.getConfig().set("parallelism.default", "1");
    tables.getConfig().set("table.local-time-zone", "UTC");
    StatementSet inserts = tables.createStatementSet();
    for (String statement : sql.split(";")) {
      if (statement.strip().startsWith("INSERT")) {
        inserts.addInsertSql(statement.strip());
      } else if (!statement.isBlank()) {
        tables.executeSql(statement.strip());
      }
    }
    long wall = System.nanoTime();
    long cpu = cpuNanos();
    inserts.execute().await();
    double wallS = (System.nanoTime() - wall) / 1e9;
    double cpuS = (cpuNanos() - cpu) / 1e9;
    System.out.printf(Locale.ROOT, "{\"events\": %s, \"wall_s\": %.3f, \"cpu_s\": %.3f}%n",
        words[3], wallS, cpuS);
    System.exit(0);
  }

  private static long cpuNanos() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }
}
